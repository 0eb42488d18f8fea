import { FakeBench } from './bench.ts';
import { storageSuite } from './storage-suite.ts';

storageSuite('the double for simulated runs', async () => new FakeBench());
