//! The documentation's pictures are made as its readers are told: by `cargo xtask screenshots`.

use anyhow::{Context as _, Result, ensure};
use swarm_e2e::{swarm, xtask};

/// Width and height, as a PNG's first chunk has them.
fn size(png: &[u8]) -> Result<(u32, u32)> {
    ensure!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.get(12..16) == Some(b"IHDR"), "no PNG");
    let number = |at: usize| -> Result<u32> {
        Ok(u32::from_be_bytes(png.get(at..at + 4).context("too short")?.try_into()?))
    };
    Ok((number(16)?, number(20)?))
}

#[test]
fn the_pictures_of_a_pool_are_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut make = xtask();
    make.arg("screenshots").arg(folder.path()).env("SWARM_BIN", swarm()?);
    let made = make.env("SCREENSHOTS_BIN", env!("CARGO_BIN_EXE_screenshots")).output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for name in ["page.png", "page-dark.png"] {
        let png = std::fs::read(folder.path().join(name)).context(name)?;
        ensure!(size(&png)? == (1400, 857), "{name}: {:?}", size(&png)?);
        // One colour alone would be some four thousand bytes.
        ensure!(png.len() > 30_000, "{name}: there is nothing on it, {} bytes", png.len());
    }
    ensure!(std::fs::read_dir(folder.path())?.count() == 2, "and nothing else");
    Ok(())
}
