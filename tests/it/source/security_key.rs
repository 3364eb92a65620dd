//! Signatures by FIDO keys, made without one: the format of OpenSSH's `PROTOCOL.u2f` and `PROTOCOL.sshsig`, by hand.

use std::fs;

use ring::digest::{SHA256, SHA512, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};

use super::check;
use super::signature::{Signed, openssh_accepts, with_signature};

const APPLICATION: &str = "ssh:";
/// The user was present, and the counter of the key.
const FLAGS_AND_COUNTER: [u8; 5] = [1, 0, 0, 0, 5];

fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}

/// A positive number as SSH writes it.
fn mpint(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros..];
    let sign: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
    string([sign, bytes].concat())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * at) & 63).unwrap();
            out.push(if at > group.len() {
                '='
            } else {
                char::from(DIGITS[digit])
            });
        }
    }
    out
}

/// From what is signed to the signature.
type Sign = dyn Fn(&[u8]) -> Vec<u8>;

/// A key with its type, its public half as SSH writes it, and what signs.
struct SecurityKey {
    kind: &'static str,
    public: Vec<u8>,
    sign: Box<Sign>,
}

fn ed25519() -> SecurityKey {
    let kind = "sk-ssh-ed25519@openssh.com";
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let point = string(key.public_key());
    SecurityKey {
        kind,
        public: [string(kind), point, string(APPLICATION)].concat(),
        sign: Box::new(move |bytes| key.sign(bytes).as_ref().to_vec()),
    }
}

fn ecdsa() -> SecurityKey {
    let kind = "sk-ecdsa-sha2-nistp256@openssh.com";
    let random = SystemRandom::new();
    let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(scheme, document.as_ref(), &random).unwrap();
    let point = string(key.public_key());
    SecurityKey {
        kind,
        public: [string(kind), string("nistp256"), point, string(APPLICATION)].concat(),
        sign: Box::new(move |bytes| {
            let signature = key.sign(&random, bytes).unwrap();
            let (r, s) = signature.as_ref().split_at(32);
            [mpint(r), mpint(s)].concat()
        }),
    }
}

impl SecurityKey {
    /// The text of a signature.
    fn armored(&self, payload: &[u8]) -> String {
        let what = [
            string("git"),
            string(""),
            string("sha512"),
            string(digest(&SHA512, payload)),
        ];
        let [namespace, reserved, hash, _] = &what;
        let message = [&b"SSHSIG"[..], &what.concat()].concat();
        let application = digest(&SHA256, APPLICATION.as_bytes());
        let message = digest(&SHA256, &message);
        let signed = [application.as_ref(), &FLAGS_AND_COUNTER, message.as_ref()];
        let signature = string((self.sign)(&signed.concat()));
        let signature = [&string(self.kind)[..], &signature, &FLAGS_AND_COUNTER].concat();
        let all = [
            &b"SSHSIG"[..],
            &1_u32.to_be_bytes(),
            &string(&self.public),
            namespace,
            reserved,
            hash,
            &string(signature),
        ];
        let text = base64(&all.concat());
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(70)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
            lines.join("\n")
        )
    }
}

#[test]
fn security_keys_sign() {
    let signed = Signed::new();
    let payload = signed.raw();
    for key in [ed25519(), ecdsa()] {
        let signature = key.armored(&payload);
        fs::write(signed.repository.parent().join("signature"), &signature).unwrap();
        signed.allow(&format!("ann {} {}\n", key.kind, base64(&key.public)));
        assert!(
            openssh_accepts(&signed, &payload, "20240102030405"),
            "{}",
            key.kind
        );
        let raw = with_signature(&payload, "gpgsig", &signature);
        signed.set(&raw);
        let tree = check(signed.settings()).unwrap();
        assert_eq!(tree.commit().unwrap().principal.as_deref(), Some("ann"));
        signed.set(&[&raw[..], b"x"].concat());
        assert_eq!(
            signed.refusal(),
            "the signature of the commit is wrong: the commit or the signature was changed"
        );
    }
}
