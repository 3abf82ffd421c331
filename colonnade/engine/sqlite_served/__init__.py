"""SQLite as libSQL and Cloudflare D1 serve it: Mastra's tables in Mastra's form, and steps that either runs."""
