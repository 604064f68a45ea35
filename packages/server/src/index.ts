export { prepareIdentity, type Identity, type IdentityOptions } from './identity/identity.ts';
export { makeKubeconfig, writeKubeconfig, type KubeconfigOptions } from './identity/kubeconfig.ts';
export { createServer, DEFAULT_PORT, type DroverServer, type ServerOptions } from './server.ts';
