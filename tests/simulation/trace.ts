/** Lines of a trace: a script with its arguments and its answer, short enough to be read. */

const ENTRY_BYTES = 15;
const ANSWER_BYTES = 15;
const ANSWERS = ['', 'next', 'released', 'yield', 'stale', 'rolledBack'];

/** A script's arguments, but for its keys, the clock and the wake channel. */
export function describeArguments(script: string, args: readonly unknown[]): string {
  const argv = args.slice(1 + Number(args[0]));
  return argv
    .slice(1)
    .filter((value) => !String(value).endsWith(':wake'))
    .map((value) => {
      if (!Buffer.isBuffer(value)) return shorten(String(value));
      return script === 'report' && value.length !== 8 ? describeEntries(value) : '';
    })
    .filter((text) => text !== '')
    .join(' ');
}

/** A script's answer. */
export function describeReply(script: string, reply: unknown): string {
  if (script === 'report' && Buffer.isBuffer(reply)) return describeAnswers(reply);
  if (Array.isArray(reply)) return `[${reply.map((value) => describeReply('', value)).join(' ')}]`;
  if (!Buffer.isBuffer(reply)) return String(reply);
  const text = reply.toString('latin1');
  return /^[ -~]*$/.test(text) ? shorten(text) : `<${reply.length} bytes>`;
}

/** `slot/pod@attempts`, with `!` for a failed pod. */
function describeEntries(packed: Buffer): string {
  const entries: string[] = [];
  for (let at = 0; at < packed.length; at += ENTRY_BYTES) {
    const [slot, pod, attempts] = [0, 4, 8].map((offset) => packed.readUInt32BE(at + offset));
    entries.push(`${slot}/${pod}@${attempts}${packed[at + 12]! & 1 ? '!' : ''}`);
  }
  return entries.join(',');
}

function describeAnswers(packed: Buffer): string {
  const answers: string[] = [];
  for (let at = 0; at < packed.length; at += ANSWER_BYTES) {
    const pod = packed.readUInt32BE(at + 1);
    answers.push(`${ANSWERS[packed[at]!]}${pod > 0 ? ` ${pod}` : ''}`);
  }
  return answers.join(', ');
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
