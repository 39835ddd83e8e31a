-- Posts the bodies of a file in turn, one a line, and prints the outcome as one line of JSON.
-- Use: wrk -s post.lua URL -- BODIES

local requests, turn = {}, 0

function init(args)
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "application/json"
   for body in io.lines(args[1]) do
      requests[#requests + 1] = wrk.format(nil, nil, nil, body)
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

function done(summary, latency)
   local errors = summary.errors
   local outcome = '{"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, '
      .. '"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}\n'
   io.write(outcome:format(
      summary.requests, summary.duration / 1e6,
      latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.timeout, errors.status
   ))
end
