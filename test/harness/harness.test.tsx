import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import pg from 'pg';
import { render } from 'preact-render-to-string';
import { describe, expect, test } from 'vitest';
import { launchChromium } from './chromium.ts';
import { createTestDatabase } from './database.ts';
import { testRedisUrl } from './redis.ts';

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('test databases', () => {
  test('are empty, apart from each other, and gone when dropped even while in use', async () => {
    const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    await ask(one.url, 'CREATE TABLE mine AS SELECT 1 AS id');
    await expect(ask(two.url, 'SELECT * FROM mine')).rejects.toMatchObject({ code: '42P01' });
    const open = new pg.Client(one.url);
    open.on('error', () => undefined);
    await open.connect();
    await Promise.all([one.drop(), two.drop()]);
    await expect(ask(one.url, 'SELECT 1')).rejects.toMatchObject({ code: '3D000' });
  });

  test('are copies of one that is migrated once, however many ask at once, and never of one whose migration failed', async () => {
    let runs = 0;
    const migrate = async (url: string) => {
      runs += 1;
      await ask(url, 'CREATE TABLE migrated AS SELECT 7 AS version');
      if (runs === 1) throw new Error('the first time it fails');
    };
    const ordered = { migrate, template: `harness_${randomBytes(4).toString('hex')}` };
    await expect(createTestDatabase(ordered)).rejects.toThrow('the first time it fails');
    const copies = await Promise.all([createTestDatabase(ordered), createTestDatabase(ordered), createTestDatabase(ordered)]);
    expect(runs).toBe(2);
    for (const { url, drop } of copies) {
      expect(await ask(url, 'SELECT version FROM migrated')).toEqual([{ version: 7 }]);
      await drop();
    }
  });
});

test('TSX renders with preact', () => {
  const Greeting = ({ name }: { name: string }) => <p>Hello, {name}</p>;
  expect(render(<Greeting name="<you>" />)).toBe('<p>Hello, &lt;you></p>');
});

test('the Redis of the run answers', async () => {
  const redis = new Redis(testRedisUrl());
  const key = `harness:${randomBytes(8).toString('hex')}`;
  await redis.set(key, 'kept', 'EX', 60);
  expect(await redis.get(key)).toBe('kept');
  await redis.quit();
});

test('the browser shows a page', async () => {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.setContent('<title>Seen</title><h1>Here</h1>');
    expect(await page.title()).toBe('Seen');
    expect(await page.getByRole('heading').textContent()).toBe('Here');
  } finally {
    await browser.close();
  }
});
