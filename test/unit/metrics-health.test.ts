import { describe, expect, test } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import { busCheck, HealthChecks, leaseCheck, roomCheck } from '../../verifier/health.ts';
import { createMetrics } from '../../verifier/metrics/index.ts';
import { samples } from '../helpers/metrics.ts';

const found = (health: HealthChecks, name: string) =>
  health.readiness().checks.find(({ check }) => check === name);

describe('readiness', () => {
  test('without checks is that of the process', () => {
    expect(new HealthChecks().readiness()).toEqual({
      ready: true,
      checks: [{ check: 'process', ok: true, detail: 'running' }],
    });
  });

  test('takes every check, and lists them all whatever they say', () => {
    const health = new HealthChecks();
    let ok = false;
    health.register('bus', () => ({ ok, detail: 'a' }));
    health.register('lease', () => ({ ok: true, detail: 'b' }));
    expect(health.readiness().ready).toBe(false);
    expect(health.readiness().checks.map(({ check }) => check)).toEqual(['process', 'bus', 'lease']);
    ok = true;
    expect(health.readiness().ready).toBe(true);
  });

  test('is not there when a check fails itself, and its insides are not told', () => {
    const health = new HealthChecks();
    health.register('ledger', () => {
      throw new Error('/home/operator');
    });
    expect(found(health, 'ledger')).toEqual({
      check: 'ledger',
      ok: false,
      detail: 'the check itself failed',
    });
  });

  test('bounds what a check says', () => {
    const health = new HealthChecks();
    health.register('x', () => ({ ok: true, detail: 'x'.repeat(10_000) }));
    expect(found(health, 'x')!.detail.length).toBe(200);
  });

  test('ends for ever with a failure of the process, under the code of the first', () => {
    const health = new HealthChecks();
    expect(health.fatal()).toBeNull();
    health.failed(new GrailError('LEDGER_CORRUPT', 'entry 5 of /home/operator/ledger.sqlite'));
    health.failed(new Error('later'));
    expect(health.fatal()).toMatch(/^LEDGER_CORRUPT: /);
    expect(health.fatal()).not.toContain('operator');
    expect(health.readiness().ready).toBe(false);
    expect(found(health, 'process')!.detail).toBe(health.fatal());
  });

  test('is a metric for each check', async () => {
    const metrics = createMetrics();
    const health = new HealthChecks();
    metrics.watchHealth(health);
    health.register('lease', () => leaseCheck(false));
    const all = await samples(metrics);
    expect(all.get('grail_check_ready{check="lease"}')).toBe(0);
    expect(all.get('grail_check_ready{check="process"}')).toBe(1);
  });
});

test('checks say what they look at', () => {
  expect(busCheck({ trouble: () => null }).ok).toBe(true);
  const away = busCheck({ trouble: () => 'cannot reach 10.0.0.7' });
  expect(away.ok).toBe(false);
  expect(away.detail).not.toContain('10.0.0.7');
  expect([leaseCheck(true), leaseCheck(false)].map(({ ok }) => ok)).toEqual([true, false]);
  expect([roomCheck(9, 10), roomCheck(10, 10)].map(({ ok }) => ok)).toEqual([true, false]);
});
