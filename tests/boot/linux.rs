//! A kernel to boot: Debian's for virtual machines, unpacked but never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package that depends on the newest kernel for virtual machines.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// A kernel and its modules.
pub(crate) struct Linux {
    /// The image, which BIOS and UEFI machines can boot alike.
    pub(crate) image: Vec<u8>,
    /// The folder of its modules, `…/lib/modules/VERSION`.
    pub(crate) modules: PathBuf,
}

impl Linux {
    /// The kernel in this folder if it is there; else the one that apt has for us, unpacked there; else the newest that this
    /// machine itself has.
    pub(crate) fn find(cache: &Path) -> Self {
        if let Some(linux) = Self::below(cache) {
            return linux;
        }
        let why = match download(cache) {
            Ok(()) => "it holds no kernel with modules".to_owned(),
            Err(why) => why,
        };
        let linux = Self::below(cache).or_else(|| Self::below(Path::new("/")));
        linux.unwrap_or_else(|| {
            panic!(
                "no kernel to boot: {META_PACKAGE} could not be had ({why}; after `apt-get update` it may), and /boot \
                 has none that can be read"
            )
        })
    }

    /// The newest kernel below the root of a file system that has modules and can be read.
    fn below(root: &Path) -> Option<Self> {
        let mut images: Vec<PathBuf> = fs::read_dir(root.join("boot"))
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        images.sort();
        images.iter().rev().find_map(|image| {
            let version = image.file_name()?.to_str()?.strip_prefix("vmlinuz-")?;
            let modules = root.join("lib/modules").join(version);
            let image = fs::read(image).ok()?;
            let has_card = modules.join("kernel/drivers/net/virtio_net.ko").exists();
            has_card.then_some(Self { image, modules })
        })
    }
}

/// Downloads the kernel's package and unpacks it as this folder.
fn download(to: &Path) -> Result<(), String> {
    // One that was unpacked by half must not be taken for whole the next time.
    let work = to.with_extension("part");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).map_err(|error| error.to_string())?;
    let depends = run(
        &work,
        "apt-cache",
        &["depends", "--important", META_PACKAGE],
    )?;
    let package = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .ok_or_else(|| format!("apt knows no {META_PACKAGE}"))?;
    run(&work, "apt-get", &["download", "-qq", package])?;
    let file = fs::read_dir(&work)
        .map_err(|error| error.to_string())?
        .find_map(|entry| entry.ok()?.file_name().into_string().ok())
        .ok_or_else(|| format!("apt-get left no {package}"))?;
    run(&work, "dpkg-deb", &["-x", &file, "unpacked"])?;
    let _ = fs::remove_dir_all(to);
    fs::rename(work.join("unpacked"), to).map_err(|error| error.to_string())?;
    let _ = fs::remove_dir_all(&work);
    Ok(())
}

/// Runs a program and returns what it prints.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} {arguments:?}: {}", stderr.trim()));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}
