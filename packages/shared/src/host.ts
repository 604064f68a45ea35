/** The oldest Node that Drover runs on, as major and minor version; `engines` says the same. */
const NODE_MIN = [22, 18] as const;

/** Where processes can be run as pods, by the names of `process.platform`; `os` says the same. */
const PLATFORMS: readonly string[] = ['linux', 'darwin'];

/**
 * Why Drover does not run on a machine, in a sentence that says what to do; null when it does.
 *
 * @param platform - As `process.platform`.
 * @param nodeVersion - As `process.versions.node`.
 */
export function hostProblem(platform: string, nodeVersion: string): string | null {
  if (platform === 'win32') {
    return 'Drover does not run on Windows: use it on Linux, on macOS, in a container or in WSL 2';
  }
  if (!PLATFORMS.includes(platform)) {
    return `Drover runs on Linux and macOS, and this is ${platform}: use it in a container`;
  }
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const [wantMajor, wantMinor] = NODE_MIN;
  if (major > wantMajor || (major === wantMajor && minor >= wantMinor)) return null;
  return `Drover needs Node ${wantMajor}.${wantMinor} or newer and this is ${nodeVersion}: install a newer one`;
}
