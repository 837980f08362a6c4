-- Sends the requests of a file, one after the other; each stands behind its length of eight hex digits.

local requests

function init(arguments)
    requests = assert(io.open(arguments[1], "rb"))
end

function request()
    local length = requests:read(8)
    if not length then
        io.stderr:write("The requests ran out; write more of them.\n")
        os.exit(3)
    end
    return requests:read(tonumber(length, 16))
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\n{"requests": %d, "seconds": %f, "failed": %d, "p50_ms": %f, "p99_ms": %f}\n',
        summary.requests, summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
    ))
end
