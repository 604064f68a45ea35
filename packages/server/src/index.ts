export type { RequestFigures, ServerFigures } from './figures.ts';
export { hashOf, newToken } from './access/token.ts';
export { TokenFile } from './access/tokenFile.ts';
export { openStoredTokens, type TokenSource } from './access/tokens.ts';
export { prepareIdentity, type Identity, type IdentityOptions } from './identity/identity.ts';
export { makeKubeconfig, writeKubeconfig, type KubeconfigOptions } from './identity/kubeconfig.ts';
export { createServer, DEFAULT_PORT, type DroverServer, type ServerOptions } from './server.ts';
