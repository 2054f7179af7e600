/** The whole page: text that comes from the server is only ever put into it as text. */
export const page = /* HTML */ `<!doctype html>
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <title>Shop: live orders</title>
      <link rel="icon" href="data:," />
      <style>
        :root {
          color-scheme: light dark;
          --line: light-dark(#d8dce3, #3a404b);
          --soft: light-dark(#5b6472, #a3acba);
          --accent: light-dark(#1d5fd0, #8ab4ff);
          --on-accent: light-dark(#ffffff, #10151d);
          --fresh: light-dark(#dceaff, #20365c);
          --good: light-dark(#177245, #63d297);
          --bad: light-dark(#b3261e, #ff8a80);
          font-family: system-ui, sans-serif;
          line-height: 1.5;
        }
        body {
          max-width: 46rem;
          margin: 0 auto;
          padding: 2rem 1.25rem 4rem;
        }
        header {
          display: flex;
          flex-wrap: wrap;
          align-items: baseline;
          justify-content: space-between;
          gap: 0 1rem;
        }
        h1 {
          margin: 0;
          font-size: 1.6rem;
        }
        #connection::before {
          content: '●';
          margin-right: 0.4em;
          color: var(--bad);
        }
        #connection.live::before {
          color: var(--good);
        }
        #summary {
          display: grid;
          grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr));
          gap: 1rem;
          margin: 1.5rem 0 0;
        }
        #summary div {
          padding: 0.75rem 1.25rem;
          border: 1px solid var(--line);
          border-radius: 0.75rem;
        }
        dt {
          color: var(--soft);
          font-size: 0.875rem;
        }
        dd {
          margin: 0;
          font-size: 1.6rem;
          font-variant-numeric: tabular-nums;
          font-weight: 600;
        }
        form {
          display: flex;
          flex-wrap: wrap;
          align-items: end;
          gap: 1rem;
          margin: 1.5rem 0 0;
          padding: 1rem 1.25rem 1.25rem;
          border: 1px solid var(--line);
          border-radius: 0.75rem;
        }
        label {
          display: grid;
          gap: 0.25rem;
          color: var(--soft);
          font-size: 0.875rem;
        }
        input,
        button {
          box-sizing: border-box;
          height: 2.5rem;
          padding: 0 0.75rem;
          border: 1px solid var(--line);
          border-radius: 0.5rem;
          font: inherit;
          font-size: 1rem;
        }
        input {
          width: 9rem;
        }
        button {
          border-color: transparent;
          background: var(--accent);
          color: var(--on-accent);
          cursor: pointer;
        }
        :focus-visible {
          outline: 3px solid var(--accent);
          outline-offset: 2px;
        }
        #products {
          flex-basis: 100%;
          margin: 0;
          color: var(--soft);
          font-size: 0.875rem;
        }
        #answer {
          min-height: 1.5em;
          margin: 0.5rem 0 1rem;
        }
        #answer.bad {
          color: var(--bad);
        }
        table {
          width: 100%;
          border-collapse: collapse;
          font-variant-numeric: tabular-nums;
        }
        caption {
          padding-bottom: 0.5rem;
          color: var(--soft);
          text-align: left;
        }
        th,
        td {
          padding: 0.5rem 0.75rem;
          border-bottom: 1px solid var(--line);
          text-align: left;
        }
        .number {
          text-align: right;
        }
        @media (prefers-reduced-motion: no-preference) {
          tr.fresh {
            animation: fresh 3s;
          }
        }
        @keyframes fresh {
          from {
            background: var(--fresh);
          }
        }
      </style>
    </head>
    <body>
      <header>
        <h1>Live orders</h1>
        <p id="connection" role="status">Connecting…</p>
      </header>
      <main>
        <dl id="summary">
          <div>
            <dt>Orders</dt>
            <dd id="orders-count">–</dd>
          </div>
          <div>
            <dt>Revenue</dt>
            <dd id="revenue">–</dd>
          </div>
          <div>
            <dt>To be packed</dt>
            <dd id="waiting">–</dd>
          </div>
          <div>
            <dt>Shipped</dt>
            <dd id="shipped">–</dd>
          </div>
        </dl>
        <form id="create">
          <label>
            Region
            <input name="region" value="eu" required pattern="[a-z]{2,16}" title="2 to 16 lower-case letters" />
          </label>
          <label>
            Amount
            <input name="amount" type="number" value="42" required min="1" max="1000000" />
          </label>
          <button>Create order</button>
          <p id="products"></p>
        </form>
        <p id="answer" role="status"></p>
        <table>
          <caption>
            The newest orders, as PostgreSQL announces them
          </caption>
          <thead>
            <tr>
              <th scope="col" class="number">Order</th>
              <th scope="col">Region</th>
              <th scope="col" class="number">Amount</th>
              <th scope="col">Status</th>
            </tr>
          </thead>
          <tbody id="orders"></tbody>
        </table>
      </main>
      <script type="module">
        const [connection, form, answer, table] = ['connection', 'create', 'answer', 'orders'].map((id) =>
          document.getElementById(id),
        );

        let loaded = []; // What the server had when the stream opened …
        const live = new Map(); // … and what the stream has told since.

        function render(fresh) {
          const orders = new Map([...loaded.map((order) => [order.id, order]), ...live]);
          const newest = [...orders.values()].sort((one, other) => other.id - one.id).slice(0, 20);
          table.replaceChildren(
            ...newest.map(({ id, region, amount, status }) => {
              const row = document.createElement('tr');
              row.className = id === fresh ? 'fresh' : '';
              for (const [value, className] of [[id, 'number'], [region], [amount, 'number'], [status]]) {
                const cell = row.insertCell();
                cell.textContent = value;
                cell.className = className ?? '';
              }
              return row;
            }),
          );
        }

        function say(text, bad = false) {
          answer.textContent = text;
          answer.className = bad ? 'bad' : '';
        }

        async function load() {
          live.clear();
          try {
            const response = await fetch('orders');
            if (!response.ok) throw new Error('the server answered ' + response.status);
            loaded = await response.json();
            render();
          } catch (error) {
            say('The orders could not be loaded: ' + error.message, true);
          }
        }

        const stream = new EventSource('orders/stream');
        stream.addEventListener('open', () => {
          connection.textContent = 'Live';
          connection.className = 'live';
          load();
        });
        stream.addEventListener('gap', load);
        stream.addEventListener('open', async () => {
          const products = await fetch('products')
            .then((response) => response.json())
            .catch(() => []);
          const names = products.map(({ name, price }) => name + ' ' + price);
          document.getElementById('products').textContent = names.length > 0 ? 'In the shop: ' + names.join(' · ') : '';
        });
        stream.addEventListener('message', ({ data }) => {
          const order = JSON.parse(data);
          live.set(order.id, order);
          render(order.id);
        });
        stream.addEventListener('error', () => {
          const ended = stream.readyState === EventSource.CLOSED;
          connection.textContent = ended ? 'Not connected: reload this page' : 'Reconnecting…';
          connection.className = '';
        });

        const figures = { orders: 'orders-count', revenue: 'revenue', waiting: 'waiting', shipped: 'shipped' };
        new EventSource('orders/summary').addEventListener('message', ({ data }) => {
          const summary = JSON.parse(data);
          for (const [name, id] of Object.entries(figures)) {
            document.getElementById(id).textContent = summary[name].toLocaleString();
          }
        });

        form.addEventListener('submit', async (event) => {
          event.preventDefault();
          const { region, amount } = Object.fromEntries(new FormData(form));
          try {
            const response = await fetch('orders', {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify({ region, amount: Number(amount) }),
            });
            const body = await response.json();
            if (response.ok) say('Order ' + body.id + ' created.');
            else say([body.message].flat().join('; '), true);
          } catch (error) {
            say('The order could not be created: ' + error.message, true);
          }
        });
      </script>
    </body>
  </html> `;
