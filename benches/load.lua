-- Sends the requests of a file, in turn, and prints what it measured as one line of JSON.
--
--   wrk -s load.lua URL -- FILE
--
-- FILE holds whole HTTP requests, each behind a line with its length in bytes (benches/run.mjs writes it).

local requests, position = {}, 0

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    while true do
        local length = file:read("*l")
        if not length then break end
        requests[#requests + 1] = file:read(tonumber(length))
    end
    file:close()
end

function request()
    position = position % #requests + 1
    return requests[position]
end

-- The whole distribution, so that several runs can be taken together.
function done(summary, latency)
    local values = {}
    for i = 1, #latency do
        local microseconds, count = latency(i)
        values[i] = string.format("[%d,%d]", microseconds, count)
    end
    local errors = summary.errors
    io.write(string.format(
        'MEASURED {"requests":%d,"microseconds":%d,"failed":%d,"latency":[%s]}\n', summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout, table.concat(values, ",")))
end
