import { conformanceTests } from './conformance.ts';

await conformanceTests(1, 2);
