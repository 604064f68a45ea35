export { TestAuthority, type CertificateFiles } from './certificates.ts';
export { isAlive } from './isAlive.ts';
export { kubernetesPrograms, type KubernetesPrograms } from './kubectl.ts';
export { NodeProcess, spawnNode } from './nodeProcess.ts';
export type { OutputLine, ProcessEnd, SpawnNodeOptions } from './nodeProcess.ts';
export { FaultProxy, startProxy } from './proxy.ts';
export type { ProxyTarget } from './proxy.ts';
export { startRedis, uniquePrefix, wantedTopology } from './redis.ts';
export { RedisClusterProcesses } from './redisCluster.ts';
export { RedisSentinelProcesses } from './redisSentinel.ts';

export type { StartRedisOptions, TestRedis, Topology } from './testRedis.ts';
export { findFreePort } from './serverProcess.ts';
export { TestClock } from './testClock.ts';
export { waitFor, WaitTimeoutError } from './waitFor.ts';
export type { WaitOptions } from './waitFor.ts';
export { guardFolder, guardProcess } from './watchdog.ts';
