import { conformanceTests } from './conformance.ts';

await conformanceTests(0, 2);
