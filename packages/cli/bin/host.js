// Whether drover runs here at all: hostProblem of @drover/shared in two parts, in JavaScript that
// versions of Node can read which can not read that.

/**
 * Why drover does not run on a system, in a sentence that says what to do; null when it does.
 *
 * @param {string} platform - As process.platform.
 */
export function platformProblem(platform) {
  if (platform === 'linux' || platform === 'darwin') return null;
  return platform === 'win32'
    ? 'Drover does not run on Windows: use it on Linux, on macOS, in a container or in WSL 2'
    : `Drover runs on Linux and macOS, and this is ${platform}: use it in a container`;
}

/**
 * Why drover does not run with a Node, likewise.
 *
 * @param {string} version - As process.versions.node.
 */
export function nodeProblem(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return null;
  return `Drover needs Node 22.18 or newer and this is ${version}: install a newer one`;
}
