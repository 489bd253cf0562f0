/** What the bundler makes of an embedded file: its path. */
declare module "*.so" {
  const path: string;
  export default path;
}
