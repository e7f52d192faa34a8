import { RouteTable } from "./route_table.ts";
import { randomNumbers } from "./testdata/random_addresses.ts";

/** As many routes as given, a tenth of them wildcards, and names of which half have a route. */
function tableOf(routes: number): { table: RouteTable<number>; names: string[] } {
  const table = new RouteTable<number>();
  for (let n = 0; n < routes; n++) table.set(n % 10 === 0 ? `*.tenant${n}.example.com` : `host${n}.example.com`, n);
  const next = randomNumbers(1);
  const names = Array.from({ length: 4096 }, (_, i) => {
    const n = next() % routes;
    const known = n % 10 === 0 ? `www.tenant${n}.example.com` : `host${n}.example.com`;
    return i % 2 === 0 ? known : `unknown${n}.example.com`;
  });
  return { table, names };
}

for (const routes of [10, 1000, 100_000]) {
  const { table, names } = tableOf(routes);
  let i = 0;
  Deno.bench(`${routes} routes`, { group: "route lookup, half of them hits", baseline: routes === 10 }, () => {
    table.lookup(names[i++ & 4095]);
  });
}
