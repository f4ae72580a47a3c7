-- As Prosody's own: modules run in an environment that has `module` and `prosody`. What is known of the second is in one file; who
-- starts before that one has been read is told here, too.
std = "lua54"
max_line_length = 140
globals = { "module" }
ignore = { "143/module", "122/module", "142/module" }
files["tests/specs/*_spec.lua"] = { std = "+busted" }
for _, file in ipairs { "lua/mod_dmuc/mod_dmuc.lua", "lua/mod_dmuc/prosody.lib.lua", "lua/mod_http_dmuc/mod_http_dmuc.lua",
	"tests/testbed/prosody/*.lua" } do
	files[file] = { read_globals = { "prosody" } }
end
