import { readFileSync } from 'node:fs';
import { GrailError } from '../protocol/errors.ts';

/** Where a keystore's password comes from; never the command line, which other users of the machine can read. */
export interface PasswordSource {
  readonly passwordFile?: string | undefined;
  /** GRAIL_PASSWORD is read from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Asks the person at the terminal; absent where there is none. */
  readonly prompt?: (question: string) => Promise<string>;
}

/**
 * The password: from --password-file (without its last line break), else GRAIL_PASSWORD, else the prompt.
 * @param confirm asks twice at a prompt, for a new key
 * @throws GrailError USAGE when there is no source, KEYSTORE_INVALID when the file cannot be read or is empty
 */
export async function readPassword(source: PasswordSource, confirm = false): Promise<string> {
  const { passwordFile, env, prompt } = source;
  if (passwordFile !== undefined) {
    const password = readText(passwordFile).replace(/\r?\n$/, '');
    if (password === '') throw new GrailError('KEYSTORE_INVALID', `${passwordFile} holds no password`);
    return password;
  }
  const { GRAIL_PASSWORD } = env;
  if (GRAIL_PASSWORD !== undefined && GRAIL_PASSWORD !== '') return GRAIL_PASSWORD;
  if (prompt === undefined) {
    throw new GrailError(
      'USAGE',
      'there is no terminal to ask for the password: set GRAIL_PASSWORD or give --password-file',
    );
  }
  const password = await prompt('Password: ');
  if (password === '') throw new GrailError('USAGE', 'an empty password protects nothing');
  if (confirm && (await prompt('The same again: ')) !== password) {
    throw new GrailError('USAGE', 'the two passwords differ');
  }
  return password;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new GrailError('KEYSTORE_INVALID', `${file} cannot be read: ${(error as Error).message}`);
  }
}

/** A prompt on this process's terminal that does not show what is typed, or undefined when there is none. */
export function terminalPrompt(): PasswordSource['prompt'] {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || !stderr.isTTY) return undefined;
  return (question) =>
    new Promise((resolve, reject) => {
      let typed = '';
      const finish = () => {
        stdin.off('data', onData);
        stdin.setRawMode(false);
        stdin.pause();
        stderr.write('\n');
      };
      const onData = (chunk: string) => {
        for (const character of chunk) {
          if (character === '\r' || character === '\n') {
            finish();
            resolve(typed);
            return;
          }
          if (character === '\u0003' || character === '\u0004') {
            finish();
            reject(new GrailError('STOPPED', 'no password was given'));
            return;
          }
          if (character === '\u007f' || character === '\b') typed = [...typed].slice(0, -1).join('');
          else typed += character;
        }
      };
      stderr.write(question);
      stdin.setEncoding('utf8');
      stdin.setRawMode(true);
      stdin.on('data', onData);
      stdin.resume();
    });
}
