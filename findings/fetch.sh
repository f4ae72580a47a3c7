# Sourced by the findings: `fetch SUITE PACKAGE=VERSION FOLDER` unpacks a package of Debian into a folder, from where the
# system's own packages come from, with an apt configuration of its own. Installs nothing.
fetch() {
	local suite=$1 package=$2 folder=$3 apt archive
	apt=$(mktemp -d "$work/apt.XXXXXX")
	archive=$(apt-get indextargets --no-release-info --format '$(CREATED_BY)|$(COMPONENT)|$(REPO_URI)' |
		awk -F'|' '$1 == "Packages" && $2 == "main" { print $3; exit }')
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$folder"
	printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$archive" "$suite" >"$apt/sources.list"
	local options=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::Lists=$apt/lists"
		-o "Dir::Cache=$apt/cache" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o "APT::Sandbox::User=$(id -un)"
		-o Acquire::Languages=none)
	apt-get "${options[@]}" update
	(cd "$apt" && apt-get "${options[@]}" download "$package" && dpkg-deb -x ./*.deb "$folder")
}

# Runs a file of Lua with Prosody's modules below a folder, under both names that they have had.
with_prosody() {
	local folder=$1 file=$2
	lua5.4 -e "
		local folder = '$folder/usr/lib/prosody/';
		local function path(name) return folder..name:gsub('^prosody%.', ''):gsub('%.', '/'); end
		table.insert(package.searchers, 2, function (name) return (loadfile(path(name)..'.lua')); end);
		table.insert(package.searchers, 3, function (name)
			return (package.loadlib(path(name)..'.so', 'luaopen_'..name:gsub('^prosody%.', ''):gsub('%.', '_')));
		end);
		dofile('$file');"
}

# expect WHAT SEEN: fails if they differ.
expect() {
	printf 'seen: %s\n' "$2"
	if [ "$1" != "$2" ]; then
		printf 'no longer so; it was: %s\n' "$1"
		exit 1
	fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
