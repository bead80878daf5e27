/** Dark or light: what the system says, until the user says otherwise. */

export function followTheme(button: HTMLElement, onChange: () => void): void {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const root = document.documentElement;
  const set = (isDark: boolean): void => {
    root.dataset.theme = isDark ? 'dark' : 'light';
    onChange();
  };
  root.dataset.theme = dark.matches ? 'dark' : 'light';
  dark.addEventListener('change', () => set(dark.matches));
  button.addEventListener('click', () => set(root.dataset.theme !== 'dark'));
}
