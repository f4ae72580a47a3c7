# To be sourced in the root of the sources: what a build for other machines needs, so that the same sources and the same compiler
# give the same bytes, wherever they lie and wherever the crates come from.
separator=$'\x1f'
flags="--remap-path-prefix=$PWD=dmuc$separator--remap-path-prefix=$PWD/vendor=crates"
for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
	if [ -d "$crates" ]; then flags+="$separator--remap-path-prefix=${crates%/}=crates"; fi
done
export CARGO_ENCODED_RUSTFLAGS="$flags" CARGO_INCREMENTAL=0
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER="${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER:-aarch64-linux-gnu-gcc}"
unset separator flags crates
