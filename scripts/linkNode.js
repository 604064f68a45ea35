// Runs after every `pnpm install`, which clears node_modules/.bin of what is not its own.
import { linkNode } from './lib/toolchain.js';

linkNode();
