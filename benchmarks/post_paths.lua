-- Posts what the lines of a file say, in turn: a path, a space, a body. Otherwise as post.lua.
-- Use: wrk -s post_paths.lua URL -- LINES

dofile(debug.getinfo(1, "S").source:match("@?(.*/)") .. "post.lua")

local requests, turn = {}, 0

function init(args)
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "application/json"
   for line in io.lines(args[1]) do
      local path, body = line:match("^(%S+) (.*)$")
      requests[#requests + 1] = wrk.format(nil, path, nil, body)
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end
