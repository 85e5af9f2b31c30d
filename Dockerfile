# syntax=docker/dockerfile:1
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No dependency needs its install script.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts ./scripts
COPY src ./src
# The build compiles them.
COPY providers ./providers
RUN npm run build
# Leaves out what only development needs, and the embedded Postgres.
RUN npm prune --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 GRANTRY_DATA_DIR=/var/lib/grantry
# Refreshed credentials that Postgres could not take yet, sealed: give it a volume. Nothing else is written to the disk.
RUN install -d -o node -g node -m 700 /var/lib/grantry
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY scripts/health.mjs ./scripts/health.mjs
COPY providers ./providers
COPY drizzle ./drizzle
COPY LICENSE ./
RUN printf '#!/bin/sh\nexec node /app/dist/cli.js "$@"\n' > /usr/local/bin/grantry && chmod 755 /usr/local/bin/grantry
# Owned by root and only read: but for the data directory, the file system may be read-only.
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "scripts/health.mjs"]
CMD ["node", "--enable-source-maps", "--disable-proto=delete", "--disallow-code-generation-from-strings", "dist/main.js"]
