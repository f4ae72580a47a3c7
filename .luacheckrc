-- As Prosody's own: modules run in an environment that has `module` and `prosody`.
std = "lua54"
max_line_length = 140
read_globals = { "prosody" }
globals = { "module" }
ignore = { "143/module", "122/module", "142/module" }
files["tests/specs/*_spec.lua"] = { std = "+busted" }
