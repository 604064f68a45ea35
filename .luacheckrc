-- Lua of Redis scripts, see packages/store/lua. scripts/lintLua.ts runs luacheck with it.
std = 'lua51'
read_globals = { 'redis', 'KEYS', 'ARGV', 'cjson', 'cmsgpack', 'struct', 'bit' }
max_line_length = 130
-- A script's shared blocks come in by `-- @include`: its globals are checked once they are in.
ignore = { '113' }
files['**/include/*.lua'] = { ignore = { '113', '211' } }
