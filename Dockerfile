# The image `drover`: the command and what it needs at run time, as a plain user.
#   docker build -t drover .
# docs/containers.md says how to run it, and how to add one's own handlers and programs.

ARG NODE_IMAGE=node:24-bookworm-slim

# The process helper of workers is a small program in C. The image has no compiler, so it is made here.
FROM ${NODE_IMAGE} AS helper
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
WORKDIR /src
COPY scripts/lib/toolchain.js scripts/lib/
COPY scripts/buildHelpers.js scripts/
COPY packages/worker/native packages/worker/native
RUN node --no-warnings scripts/buildHelpers.js && ls packages/worker/prebuilt/*/process-helper

FROM ${NODE_IMAGE} AS build
WORKDIR /src
# The pnpm that belongs to the lockfile is named in one place.
COPY scripts/lib/toolchain.js scripts/lib/
RUN version="$(sed -n "s/^export const PNPM_VERSION = '\(.*\)';/\1/p" scripts/lib/toolchain.js)" \
  && npm install --global --no-audit --no-fund --loglevel=error "pnpm@${version:?}"
# A layer of its own: a change of the sources brings no dependency anew.
COPY pnpm-lock.yaml pnpm-workspace.yaml ./
RUN pnpm fetch
COPY . .
RUN CI=true pnpm install --offline --frozen-lockfile --ignore-scripts
# Types are checked where Drover is developed; that would be most of the time of this build.
RUN node_modules/.bin/tsc -b --noCheck packages/cli
COPY --from=helper /src/packages/worker/prebuilt packages/worker/prebuilt
RUN node scripts/asPublished.js \
  && CI=true pnpm --config.inject-workspace-packages=true --filter @drover/cli deploy --prod --offline --ignore-scripts /app \
  && find /app \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="drover" \
  org.opencontainers.image.description="Kubernetes Jobs without Kubernetes, on Redis and BullMQ" \
  org.opencontainers.image.licenses="MIT"
COPY --from=build /app /opt/drover
RUN ln -s /opt/drover/bin/drover.js /usr/local/bin/drover \
  && mkdir /work /var/lib/drover \
  && chown node:node /work /var/lib/drover
ENV NODE_ENV=production
# By number, so that an orchestrator can see that it is not root.
USER 1000:1000
# Where programs start, and a good place for handlers.
WORKDIR /work
ENTRYPOINT ["drover"]
CMD ["--help"]
