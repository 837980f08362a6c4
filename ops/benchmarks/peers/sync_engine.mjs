// Supabase's stripe-sync-engine behind Node's own HTTP server. Its packages are looked for in
// PEER_MODULES: `make bench-peers` installs them there.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const resolve = createRequire(`${process.env.PEER_MODULES}/`).resolve
const name = '@supabase/stripe-sync-engine'
const { StripeSync, runMigrations } = await import(pathToFileURL(resolve(name)).href)
const databaseUrl = process.env.DATABASE_URL
await runMigrations({ databaseUrl, schema: 'stripe' })
const sync = new StripeSync({
  schema: 'stripe',
  poolConfig: { connectionString: databaseUrl, max: 16 },
  stripeSecretKey: 'sk_test_peer',
  stripeWebhookSecret: process.env.STRIPE_WEBHOOK_SECRET,
  // Else it would ask Stripe for the customer of each subscription.
  backfillRelatedEntities: false,
})

createServer((request, response) => {
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', async () => {
    try {
      await sync.processWebhook(Buffer.concat(parts), request.headers['stripe-signature'])
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"received":true}')
    } catch (error) {
      console.error(error)
      response.writeHead(500).end()
    }
  })
}).listen(Number(process.argv[2]), '127.0.0.1')
