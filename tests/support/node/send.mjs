// Send one of each call with Segment's SDK for Node: node send.mjs <address of the ingest> <write key>
import { Analytics } from '@segment/analytics-node'

const [host, writeKey] = process.argv.slice(2)
const analytics = new Analytics({ writeKey, host, path: '/v1/batch', flushAt: 20, flushInterval: 500 })
let faults = 0
analytics.on('error', (fault) => {
  faults += 1
  console.error(JSON.stringify(fault))
})

analytics.group({
  userId: 'u-1',
  groupId: 'acme',
  traits: { name: 'Acme', owner: 'dana@vendor.test', arr: 48000, renewalDate: '2027-01-31' },
})
analytics.identify({ userId: 'u-1', traits: { role: 'admin', email: 'ana@acme.test' } })
analytics.track({ userId: 'u-1', event: 'Payment Failed', context: { groupId: 'acme' } })
analytics.page({ userId: 'u-1', category: 'Docs', name: 'Home' })
// JavaScript cuts emoji in half and sends the half: it must not cost the batch
analytics.track({ userId: 'u-1', event: 'Comment Written', properties: { text: '\u{1F600}'.slice(0, 1) } })
await analytics.closeAndFlush({ timeout: 10000 })
process.exitCode = faults === 0 ? 0 : 1
