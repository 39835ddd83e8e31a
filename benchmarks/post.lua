-- Posts the bodies of a file in turn, and prints the outcome as one line of JSON.
-- Use: wrk -s post.lua URL -- BODIES [LENGTH HEADER_LENGTH]
-- One body of JSON a line, or bodies of one length whose first part is JSON (v2 binary data).

local requests, turn = {}, 0

function init(args)
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "application/json"
   if args[2] then
      wrk.headers["Content-Type"] = "application/octet-stream"
      wrk.headers["Inference-Header-Content-Length"] = args[3]
      local file = assert(io.open(args[1], "rb"))
      for body in function() return file:read(tonumber(args[2])) end do
         requests[#requests + 1] = wrk.format(nil, nil, nil, body)
      end
      file:close()
   else
      for body in io.lines(args[1]) do
         requests[#requests + 1] = wrk.format(nil, nil, nil, body)
      end
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
