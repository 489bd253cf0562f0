//! Gives the crate its build hash; `quiche.build.sh` sets the variable, a plain `cargo build` says so.
fn main() {
    println!("cargo:rerun-if-env-changed=SPOOKY_BUILD_HASH");
    if std::env::var_os("SPOOKY_BUILD_HASH").is_none() {
        println!("cargo:rustc-env=SPOOKY_BUILD_HASH=unhashed");
    }
}
