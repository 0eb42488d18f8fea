import { describe, expect, test } from 'bun:test';
import { Histogram } from '../../core/broker/histogram.ts';
import { dropReasons } from '../../core/broker/outbox.ts';
import { LoopLag } from '../../core/http/loop-lag.ts';
import { metricsPage } from '../../core/http/metrics.ts';
import { MetricsPage } from '../../core/http/prometheus.ts';
import { socketRefusals } from '../../core/net/counters.ts';
import { stage } from '../net/fake-broker.ts';

describe('the text format', () => {
  test('has a family with its help, type and samples', () => {
    const page = new MetricsPage()
      .gauge('a', 'What a is.', 1.5)
      .counter('b_total', 'What b is.', [
        [{ x: '1', y: 'z' }, 2],
        [{}, 3],
      ])
      .countersBy('c_total', 'What c is.', 'reason', { full: 4, gone: 5 });
    expect(page.text).toBe(
      [
        '# HELP a What a is.',
        '# TYPE a gauge',
        'a 1.5',
        '# HELP b_total What b is.',
        '# TYPE b_total counter',
        'b_total{x="1",y="z"} 2',
        'b_total 3',
        '# HELP c_total What c is.',
        '# TYPE c_total counter',
        'c_total{reason="full"} 4',
        'c_total{reason="gone"} 5',
        '',
      ].join('\n'),
    );
  });

  test('cumulates the buckets of a histogram', () => {
    const histogram = new Histogram([0.1, 1]);
    for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value);
    expect(new MetricsPage().histogram('h', 'H.', histogram).text).toBe(
      [
        '# HELP h H.',
        '# TYPE h histogram',
        'h_bucket{le="0.1"} 2',
        'h_bucket{le="1"} 3',
        'h_bucket{le="+Inf"} 4',
        'h_sum 7.65',
        'h_count 4',
        '',
      ].join('\n'),
    );
  });

  test('escapes what a label may hold', () => {
    const { text } = new MetricsPage().gauge('a', 'A.', [[{ x: 'a"b\\c\nd' }, 1]]);
    expect(text).toContain('a{x="a\\"b\\\\c\\nd"} 1');
  });
});

describe('the page', () => {
  const page = async () => {
    const { turn, broker } = stage();
    const { counters } = broker;
    counters.clientsConnected = 3;
    counters.refused.NotAuthorized = 7;
    counters.dropped['slow-reader'] = 9;
    turn.counters.refused['tls-handshake'] = 11;
    const material = {
      certificates: [{ names: ['a.example'], cert: '', key: '', expiresAtMs: 5_000, warnings: [] }],
      clientAuthorities: undefined,
    } as const;
    return metricsPage({
      version: '1.2.3',
      turn,
      lag: new LoopLag(),
      material: () => material,
      more: (more) => more.gauge('bellhop_plugins', 'Plugins that are loaded.', 2),
    });
  };

  test('is of the form that Prometheus reads: each family once, with help and type before its samples', async () => {
    const families = new Set<string>();
    let family = '';
    let type = '';
    for (const line of (await page()).trimEnd().split('\n')) {
      if (line.startsWith('# HELP ')) {
        family = line.split(' ')[2] ?? '';
        expect(families).not.toContain(family);
        expect(line).toMatch(/^# HELP (bellhop|process)_[a-z_]+ [A-Z/].*\.$/);
        families.add(family);
      } else if (line.startsWith('# TYPE ')) {
        type = line.split(' ')[3] ?? '';
        expect(line.split(' ')[2]).toBe(family);
        expect(['counter', 'gauge', 'histogram']).toContain(type);
        expect([family, family.endsWith('_total')]).toEqual([family, type === 'counter']);
      } else {
        const sample =
          /^([a-z_]+)(?:\{[a-z_]+="[^"]*"(?:,[a-z_]+="[^"]*")*\})? (-?[\d.e+-]+)$/.exec(line);
        expect([line, sample !== null]).toEqual([line, true]);
        expect(sample?.[1]?.startsWith(family)).toBe(true);
      }
    }
    expect(families.size).toBeGreaterThan(40);
  });

  test('has every drop and refusal by reason, before the first has happened', async () => {
    const text = await page();
    for (const reason of dropReasons)
      expect(text).toContain(
        `bellhop_messages_dropped_total{reason="${reason}"} ${reason === 'slow-reader' ? 9 : 0}\n`,
      );
    for (const reason of socketRefusals)
      expect(text).toContain(
        `bellhop_sockets_refused_total{reason="${reason}"} ${reason === 'tls-handshake' ? 11 : 0}\n`,
      );
    expect(text).toContain('bellhop_connects_refused_total{reason="NotAuthorized"} 7\n');
  });

  test('has the version, the clients, the certificate, the process, and what others add', async () => {
    const text = await page();
    expect(text).toContain('bellhop_build_info{version="1.2.3"} 1\n');
    expect(text).toContain('bellhop_clients 3\n');
    expect(text).toContain('bellhop_certificate_expiry_timestamp_seconds{name="a.example"} 5\n');
    expect(text).toContain('bellhop_plugins 2\n');
    const value = (name: string) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
    expect(value('process_cpu_seconds_total')).toBeGreaterThan(0);
    const now = Date.now() / 1_000;
    expect(value('process_start_time_seconds')).toBeLessThanOrEqual(now);
    expect(value('process_start_time_seconds')).toBeGreaterThan(now - 24 * 3_600);
    if (process.platform === 'linux') {
      expect(value('process_open_fds')).toBeGreaterThan(3);
      expect(value('process_max_fds')).toBeGreaterThan(value('process_open_fds'));
    }
  });
});
