//! `Privileges` as the engine's `SecurityOpt`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fields::{Fields, Refusal};

pub(super) fn security(fields: &mut Fields) -> Result<Vec<String>, Refusal> {
    let Some(mut privileges) = fields.object("Privileges")? else { return Ok(Vec::new()) };
    let mut options = Vec::new();
    if let Some(mut spec) = privileges.object("CredentialSpec")? {
        for source in ["Config", "File", "Registry"] {
            if !spec.or_zero::<String>(source)?.is_empty() {
                return spec.refuse("credential specs are for Windows containers");
            }
        }
        spec.finish()?;
    }
    if let Some(mut context) = privileges.object("SELinuxContext")? {
        if context.or_zero("Disable")? {
            options.push("label=disable".to_owned());
        }
        for (field, word) in
            [("User", "user"), ("Role", "role"), ("Level", "level"), ("Type", "type")]
        {
            let value: String = context.or_zero(field)?;
            if !value.is_empty() {
                options.push(format!("label={word}:{value}"));
            }
        }
        context.finish()?;
    }
    if let Some(seccomp) = privileges.object("Seccomp")? {
        options.extend(self::seccomp(seccomp)?);
    }
    if let Some(mut apparmor) = privileges.object("AppArmor")? {
        match apparmor.or_zero::<String>("Mode")?.as_str() {
            "" | "default" => {}
            "disabled" => options.push("apparmor=unconfined".to_owned()),
            other => return apparmor.refuse(&format!("unknown mode {other:?}")),
        }
        apparmor.finish()?;
    }
    if privileges.or_zero("NoNewPrivileges")? {
        options.push("no-new-privileges=true".to_owned());
    }
    privileges.finish()?;
    Ok(options)
}

fn seccomp(mut seccomp: Fields) -> Result<Option<String>, Refusal> {
    let mode: String = seccomp.or_zero("Mode")?;
    let profile: String = seccomp.or_zero("Profile")?;
    seccomp.finish()?;
    match mode.as_str() {
        "" | "default" | "unconfined" if !profile.is_empty() => {
            seccomp.refuse("a profile is for mode custom")
        }
        "" | "default" => Ok(None),
        "unconfined" => Ok(Some("seccomp=unconfined".to_owned())),
        "custom" => {
            let decoded = STANDARD.decode(&profile).ok().and_then(|b| String::from_utf8(b).ok());
            match decoded {
                Some(text) if !text.is_empty() => Ok(Some(format!("seccomp={text}"))),
                _ => seccomp.refuse("mode custom needs a profile in base 64"),
            }
        }
        other => seccomp.refuse(&format!("unknown mode {other:?}")),
    }
}
