/** Where a service writes what it does: one sentence, and fields for machines. */
export interface Log {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** A log of lines on a stream: level, sentence, fields as key=value. */
export function lineLog(write: (line: string) => void): Log {
  const line =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}) => {
      const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${text(value)}`);
      write(`${level} ${message}${rest.join('')}\n`);
    };
  return { info: line('info '), warn: line('warn '), error: line('error') };
}

function text(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value)
    ? value
    : (JSON.stringify(value) ?? 'undefined');
}
