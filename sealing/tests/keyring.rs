//! What a sealed value opens with, and where.

use sealing::{KeyAge, Keyring, SealError};

#[test]
fn a_sealed_value_opens_in_its_place_alone_and_with_old_keys() {
    let old = Keyring::generate().unwrap();
    let new = Keyring::generate().unwrap();
    let sealed = Keyring::parse(&old).unwrap().seal("t.c.1", b"secret").unwrap();
    let both = Keyring::parse(&format!("{new}{old}")).unwrap();
    assert_eq!(both.open("t.c.1", &sealed).unwrap(), b"secret");
    assert_eq!(both.open("t.c.2", &sealed), Err(SealError::Refused));
    assert_eq!(Keyring::parse(&new).unwrap().open("t.c.1", &sealed), Err(SealError::Refused));
    assert!(!sealed.windows(6).any(|window| window == b"secret"));
}

#[test]
fn a_sealed_value_tells_which_key_it_is_under() {
    let (old, new) = (Keyring::generate().unwrap(), Keyring::generate().unwrap());
    let sealed = Keyring::parse(&old).unwrap().seal("t.c.1", b"secret").unwrap();
    let age = |file: &str| Keyring::parse(file).unwrap().age(&sealed);
    assert_eq!(age(&old), Some(KeyAge::Current));
    assert_eq!(age(&format!("{new}{old}")), Some(KeyAge::Old));
    assert_eq!((age(&new), Keyring::parse(&new).unwrap().age(b"abc")), (None, None));
}
