/** Dark or light: what the system says, until the user says otherwise, which is remembered. */

const key = 'memdrift-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');

/** Null: nothing was chosen, or nothing may be kept here. */
function chosen(): string | null {
  try {
    const theme = localStorage.getItem(key);
    return theme === 'dark' || theme === 'light' ? theme : null;
  } catch {
    return null;
  }
}

/** Before anything is drawn: a page that turns dark after a second blinds. */
export function applyTheme(): void {
  document.documentElement.dataset.theme = chosen() ?? (dark.matches ? 'dark' : 'light');
}

export function followTheme(button: HTMLElement, onChange: () => void): void {
  const root = document.documentElement;
  const say = (): void => {
    button.textContent = root.dataset.theme === 'dark' ? 'Light' : 'Dark';
  };
  const set = (): void => {
    say();
    onChange();
  };
  dark.addEventListener('change', () => {
    applyTheme();
    set();
  });
  button.addEventListener('click', () => {
    const theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
    root.dataset.theme = theme;
    try {
      localStorage.setItem(key, theme);
    } catch {
      // It is remembered as long as the page is open.
    }
    set();
  });
  say();
}
