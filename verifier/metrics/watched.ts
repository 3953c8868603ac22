import { Gauge, type Registry } from 'prom-client';

/** A gauge that is read when somebody asks, and has no value while nothing is watched. */
export function watchedGauge(registry: Registry, name: string, help: string): (read: () => number) => void {
  let watched: (() => number) | null = null;
  const gauge = new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      if (watched !== null) this.set(watched());
    },
  });
  // A gauge without labels begins at 0, which would be a figure that nobody measured.
  gauge.remove();
  return (read) => {
    watched = read;
  };
}
