import { defineConfig } from 'drizzle-kit'

// drizzle-kit reads a default export; nothing else in this repository has one.
export default defineConfig({
  dialect: 'postgresql',
  schema: './services/api/src/store/schema.ts',
  out: './migrations',
})
