import { expect, test } from 'vitest';
import { isSpoiled } from '../../src/jobs/spoiled.ts';

/** What the server refuses is no reason to delete what it holds. */

const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });
const type = 'Operation against a key holding the wrong kind of value';

test.each([
  reply(`WRONGTYPE ${type}`),
  reply(`WRONGTYPE ${type} script: abc, on @user_script:12.`),
  reply(`ERR Error running script (call to f_abc): @user_script:5: WRONGTYPE ${type}`),
  reply('ERR value is not an integer or out of range script: abc, on @user_script:7.'),
  reply('ERR user_script:8: attempt to compare nil with number script: abc, on @user_script:8.'),
  new SyntaxError('Unexpected token'),
  new TypeError('Cannot convert undefined or null to object'),
])('%s: the queue is spoiled', (error) => expect(isSpoiled(error)).toBe(true));

test.each([
  reply("OOM command not allowed when used memory > 'maxmemory'. script: abc, on @user_script:1."),
  reply("ERR Error running script (call to f_abc): @user_script:5: @user_script: 5: -OOM command not allowed when used memory > 'maxmemory'."),
  reply("NOPERM User x has no permissions to run the 'evalsha' command"),
  reply("READONLY You can't write against a read only replica. script: abc, on @user_script:9."),
  reply('NOSCRIPT No matching script. Please use EVAL.'),
  reply('LOADING Redis is loading the dataset in memory'),
  reply('ERR max number of clients reached'),
  Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' }),
  new Error('Connection is closed.'),
  new Error('Missing key for job con_1-1-5 moveToFinished'),
  new Error('Missing lock for job con_1-1-5 moveToFinished'),
  undefined,
])('%s: it is not', (error) => expect(isSpoiled(error)).toBe(false));
