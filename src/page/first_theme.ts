/** In the head of each page. */
import { applyTheme } from './theme.ts';

applyTheme();
