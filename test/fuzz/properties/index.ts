import type { Property } from '../property.ts';
import { callbacks } from './callbacks.ts';
import { definitions } from './definitions.ts';
import { returnUrls } from './return-urls.ts';
import { signedRequests } from './signed-requests.ts';
import { tokenAnswers } from './token-answers.ts';

export const properties: readonly Property[] = [tokenAnswers, callbacks, definitions, returnUrls, signedRequests];
