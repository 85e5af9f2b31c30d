import { defineConfig } from 'drizzle-kit';

export default defineConfig({ dialect: 'postgresql', schema: './src/outside/postgres/schema.ts', out: './drizzle' });
