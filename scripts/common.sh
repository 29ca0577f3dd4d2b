# Shared by the scripts in this folder; sourced, never run.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)

fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# quietly LOG COMMAND...: output goes to LOG; only its end is shown, and only when the command fails.
quietly() {
	local log=$1
	shift
	mkdir -p -- "$(dirname -- "$log")"
	"$@" >"$log" 2>&1 && return
	echo "${0##*/}: failed: $* (the end of $log follows)" >&2
	tail -n 40 -- "$log" >&2
	return 1
}

# build FOLDER PREFIX OPTION...: configures and builds one tree. Succeeds quickly when there is nothing to do.
build() {
	local folder=$1 prefix=$2
	shift 2
	quietly "$folder/configure.log" \
		cmake -S "$root" -B "$folder" -G Ninja "-DCMAKE_INSTALL_PREFIX=$prefix" "$@" || return
	quietly "$folder/build.log" cmake --build "$folder"
}
