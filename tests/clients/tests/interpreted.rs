//! redis-py, node-redis and ioredis: installed by their ordinary clients into a folder of their
//! own, then run against a server. The checks are written in their languages, in this folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use reef_clients::{Served, is_here, succeeded};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

#[test]
fn redis_py_works() {
    if !is_here("python3") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut install = Command::new("python3");
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]);
    let _ = succeeded(&install.arg(folder.path()).arg("redis").output().expect("pip runs"));
    let served = Served::start();
    for protocol in ["2", "3"] {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", folder.path()).arg(script("redis_py.py"));
        let out = python.args([&served.port().to_string(), protocol]).output();
        assert_eq!(succeeded(&out.expect("python runs")), "all well\n");
    }
}

#[test]
fn node_redis_and_ioredis_work() {
    if !is_here("node") || !is_here("npm") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut install = Command::new("npm");
    install.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
    let install = install.arg(folder.path()).args(["redis", "ioredis"]).output();
    let _ = succeeded(&install.expect("npm runs"));
    let served = Served::start();
    for name in ["node_redis.mjs", "ioredis.mjs"] {
        // Modules are looked for beside the script.
        let copy = folder.path().join(name);
        std::fs::copy(script(name), &copy).expect("copied");
        let out = Command::new("node").arg(copy).arg(served.port().to_string()).output();
        assert_eq!(succeeded(&out.expect("node runs")), "all well\n", "{name}");
    }
}
