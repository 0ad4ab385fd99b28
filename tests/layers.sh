#!/bin/sh
# layers.sh [DIRECTORY]: checks the direction of includes between the rooms of proxy/, that no room has a
# circle of files or too many lines, which rooms may include a library, and a few mistakes that a text
# search can find. Prints `layers: ok`, or each violation, and exits 1. DIRECTORY is the project, by default
# the one that contains this script.
set -eu
cd "${1:-$(dirname "$0")/..}"

# Percent of the lines of proxy/ that one room may have.
share=15

# Room, and the rooms, or single files of rooms, that it may include besides itself and libraries.
rooms='
main     confine/syscalls.h control/control.h gate cli config base policy/country.h shared/shared_reply.h status/status.h tls/aead.h tls/tls_basics.h tls/tls_memory.h
cli      gate/admin.h gate/preflight.h client explain config users tls wire/ppp_method.h binding base
control  gate explain confine call radius shared upstream site config users policy status net tls binding wire base
gate     confine call radius shared upstream site config users policy status net tls binding wire base
client   tls wire binding base
explain  call/judgement.h call/reason.h site config policy users tls base
call     upstream site config policy users net tls wire binding base radius/keyring.h shared/shared.h
radius   site config users net wire binding base
upstream site config policy net tls wire binding base
site     config policy users tls binding base
config   policy base
users    base
status   base
shared   net tls binding base
policy   base
confine  base
net      tls base
tls      base
binding  base wire/sstp.h wire/radius.h
wire     base/span.h base/err.h base/ascii.h base/hex.h
base
'

# Header of a library, and the rooms that may include it; the first pattern that matches decides.
libraries='
uv.h                    net shared gate control main
openssl/crypto.h        tls binding call radius gate control cli client main status
openssl/*               tls binding
ini.h                   config
maxminddb.h             policy
microhttpd.h            status
seccomp.h               confine
hiredis/hiredis.h       shared
intel-ipsec-mb.h        tls
linux/landlock.h        confine
'

# Room, and the only headers of libc that it may include, so that it does no allocation, clock or I/O.
libc='
wire     stdbool.h stddef.h stdint.h string.h limits.h
binding  stdbool.h stddef.h stdint.h string.h limits.h stdlib.h
'

# Forbidden function, the room where it is forbidden (*: all), and the reason.
calls='
sprintf         *        use snprintf, which takes the size
vsprintf        *        use vsnprintf, which takes the size
strcpy          *        it does not take the size of the destination
strcat          *        it does not take the size of the destination
gets            *        it does not take the size of the destination
alloca          *        an allocation on the stack cannot fail safely
sleep           *        one thread serves thousands of calls
usleep          *        one thread serves thousands of calls
nanosleep       *        one thread serves thousands of calls
clock_nanosleep *        one thread serves thousands of calls
uv_sleep        *        one thread serves thousands of calls
memcmp          binding  compare secrets with CRYPTO_memcmp
'

files=$(find proxy -name '*.[ch]' | sort)
# shellcheck disable=SC2086 # names of sources contain no blanks
awk -v share="$share" -v rooms="$rooms" -v libraries="$libraries" -v libc="$libc" -v calls="$calls" '
function bad(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text
	violations++
}

# Reads a table: the first word of each line into name[1..n], the others into list[1..n]. Returns n.
function read_table(text, name, list,    lines, i, n, count) {
	n = split(text, lines, "\n")
	for (i = 1; i <= n; i++) {
		if (lines[i] !~ /[^ ]/)
			continue
		count++
		name[count] = list[count] = lines[i]
		sub(/ .*/, "", name[count])
		sub(/^[^ ]+ */, "", list[count])
	}
	return count
}

function has_word(list, word) {
	return index(" " list " ", " " word " ") > 0
}

function find_room(    i) {
	for (i = 1; i <= room_count; i++)
		if (room_name[i] == room)
			return i
	return 0
}

function check_own(header,    target, i) {
	target = header
	sub(/\/.*/, "", target)
	if (header !~ /\//) {
		bad("\"" header "\": included without its room")
		return
	}
	if (target == room)
		uses[own] = uses[own] " " header
	i = find_room()
	if (target != room && !has_word(room_list[i], target) && !has_word(room_list[i], header))
		bad(room " does not include \"" header "\"")
}

function matches(pattern, header) {
	if (pattern ~ /\*$/)
		return index(header, substr(pattern, 1, length(pattern) - 1)) == 1
	return pattern == header
}

function check_library(header,    i) {
	for (i = 1; i <= library_count; i++) {
		if (!matches(library_name[i], header))
			continue
		if (!has_word(library_list[i], room))
			bad(room " does not include <" header ">")
		return
	}
	for (i = 1; i <= libc_count; i++)
		if (libc_name[i] == room && !has_word(libc_list[i], header))
			bad(room " does not include <" header ">")
}

function check_calls(line,    i, where, why) {
	for (i = 1; i <= call_count; i++) {
		where = why = call_list[i]
		sub(/ .*/, "", where)
		sub(/^[^ ]+ */, "", why)
		if (where != "*" && where != room)
			continue
		if (line ~ "(^|[^A-Za-z0-9_])" call_name[i] "[ \t]*\\(")
			bad(call_name[i] "(): " why)
	}
}

# Lists in edges[file] the other files of the room that the file uses. A file is a .c with its header; a
# header without a .c stands for what it includes.
function find_edges(file, header,    n, i, list) {
	n = split(uses[header], list, " ")
	for (i = 1; i <= n; i++) {
		if (list[i] == file || (file, list[i]) in found)
			continue
		found[file, list[i]] = 1
		if (list[i] in source)
			edges[file] = edges[file] " " list[i]
		else
			find_edges(file, list[i])
	}
}

# Follows the includes of a file, and reports each way back to a file on the path.
function walk(file, path,    n, i, list, circle) {
	if (state[file] == "open") {
		circle = substr(path, index(path " ", " " file " ") + 1)
		gsub(/\.h/, ".c", circle)
		gsub(/ /, " -> ", circle)
		printf "proxy/%s: a circle of files: %s\n", substr(file, 1, index(file, "/") - 1), circle
		violations++
	}
	if (state[file] != "")
		return
	state[file] = "open"
	n = split(edges[file], list, " ")
	for (i = 1; i <= n; i++)
		walk(list[i], path " " list[i])
	state[file] = "done"
}

function check_shares(    i) {
	for (i = 1; i <= room_count; i++) {
		if (lines[room_name[i]] * 100 <= share * total)
			continue
		printf "proxy/%s: %d of the %d lines of proxy/, more than %d %%\n", room_name[i], \
			lines[room_name[i]], total, share
		violations++
	}
}

# Returns a line without comments and string literals. A comment may span several lines.
function code_of(line,    from, to) {
	gsub(/\\./, "", line)
	gsub(/"[^"]*"/, "\"\"", line)
	if (in_comment) {
		to = index(line, "*/")
		if (to == 0)
			return ""
		line = substr(line, to + 2)
		in_comment = 0
	}
	while ((from = index(line, "/*")) > 0) {
		to = index(substr(line, from + 2), "*/")
		if (to == 0) {
			in_comment = 1
			return substr(line, 1, from - 1)
		}
		line = substr(line, 1, from - 1) " " substr(line, from + to + 3)
	}
	sub(/\/\/.*/, "", line)
	return line
}

BEGIN {
	room_count = read_table(rooms, room_name, room_list)
	library_count = read_table(libraries, library_name, library_list)
	libc_count = read_table(libc, libc_name, libc_list)
	call_count = read_table(calls, call_name, call_list)
}

FNR == 1 {
	in_comment = 0
	included = 0
	room = FILENAME
	sub(/^proxy\//, "", room)
	own = room
	if (sub(/\.c$/, ".h", own) && room ~ /\//) {
		source[own] = 1
		sources[++source_count] = own
	}
	if (room ~ /\//)
		sub(/\/.*/, "", room)
	else
		room = "main"
	if (find_room() == 0)
		bad("the room " room " is not in the table of tests/layers.sh")
}

{
	lines[room]++
	total++
}

/^[ \t]*#[ \t]*include/ {
	header = $0
	gsub(/^[^"<]*["<]|[">].*$/, "", header)
	if (FILENAME ~ /\.c$/ && room != "main" && !included++ && header != own)
		bad("the first include of a .c must be its own header, \"" own "\"")
	if ($0 ~ /</)
		check_library(header)
	else
		check_own(header)
	next
}

{
	check_calls(code_of($0))
}

END {
	for (i = 1; i <= source_count; i++)
		find_edges(sources[i], sources[i])
	for (i = 1; i <= source_count; i++)
		walk(sources[i], " " sources[i])
	check_shares()
	if (violations > 0)
		exit 1
	print "layers: ok"
}' ${files:?proxy/ has no sources}
