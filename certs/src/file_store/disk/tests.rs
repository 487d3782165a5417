use std::os::unix::fs::PermissionsExt;

use super::*;

fn files<'a>(files: &[(&str, &'a str)]) -> Vec<(String, &'a [u8])> {
    files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes())).collect()
}

fn content(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_folder_is_replaced_whole_and_strangers_move_over() {
    let root = tempfile::tempdir().unwrap();
    let staging = Staging::open(&root.path().join("staging")).unwrap();
    let target = root.path().join("a/b/entry");
    write_folder(&staging, &target, &files(&[("x.crt", "1"), ("x.key", "1")])).unwrap();
    fs::write(target.join("notes.txt"), "mine").unwrap();
    fs::write(target.join("123456"), "half a file").unwrap();
    write_folder(&staging, &target, &files(&[("x.crt", "2"), ("x.key", "2")])).unwrap();
    assert_eq!(content(&target.join("x.crt")) + &content(&target.join("x.key")), "22");
    assert_eq!(content(&target.join("notes.txt")), "mine");
    assert!(!target.join("123456").exists());
    assert_eq!(fs::read_dir(&staging.folder).unwrap().count(), 0);
}

#[test]
fn a_file_system_without_exchange_is_served_in_two_steps() {
    let root = tempfile::tempdir().unwrap();
    let staging = Staging::open(&root.path().join("staging")).unwrap();
    let target = root.path().join("entry");
    for text in ["1", "2"] {
        let staged = staging.fresh();
        fill_folder(&staged, &files(&[("x.crt", text)])).unwrap();
        place_in_two_steps(&staging, &staged, &target).unwrap();
        assert_eq!(content(&target.join("x.crt")), text);
        // The old folder stands where the new one was built, as after an exchange.
        assert_eq!(staged.exists(), text == "2");
    }
}

#[test]
fn a_failed_write_leaves_the_old_state_and_no_leftover() {
    let root = tempfile::tempdir().unwrap();
    let staging = Staging::open(&root.path().join("staging")).unwrap();
    fs::write(root.path().join("file"), "in the way").unwrap();
    let target = root.path().join("file/entry");
    write_folder(&staging, &target, &files(&[("x.crt", "1")])).unwrap_err();
    write(&staging, &target, b"1").unwrap_err();
    assert_eq!(fs::read_dir(&staging.folder).unwrap().count(), 0);
    assert_eq!(content(&root.path().join("file")), "in the way");
}

#[test]
fn what_a_dead_process_left_is_cleared_and_what_a_living_one_writes_is_not() {
    let root = tempfile::tempdir().unwrap();
    let parent = root.path().join("staging");
    let dead = parent.join("dead");
    fs::create_dir_all(dead.join("7")).unwrap();
    fs::write(dead.join("7/x.key"), "half").unwrap();
    let living = Staging::open(&parent).unwrap();
    assert!(!dead.exists());
    let half = living.fresh();
    fs::write(&half, "under way").unwrap();
    let _other = Staging::open(&parent).unwrap();
    assert_eq!(content(&half), "under way");
}

#[test]
fn what_is_created_is_for_its_owner_only() {
    let root = tempfile::tempdir().unwrap();
    let staging = Staging::open(&root.path().join("staging")).unwrap();
    write(&staging, &root.path().join("a/b/doc"), b"1").unwrap();
    write_folder(&staging, &root.path().join("c/entry"), &files(&[("x.key", "1")])).unwrap();
    let mode = |path: &str| fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o777;
    for folder in ["a", "a/b", "c", "c/entry", "staging"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    for file in ["a/b/doc", "c/entry/x.key"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

#[test]
fn a_file_beyond_its_limit_is_not_read() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("big");
    fs::write(&path, [0; 101]).unwrap();
    assert_eq!(read(&path, 101).unwrap().map(|bytes| bytes.len()), Some(101));
    assert_eq!(read(&path, 100).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}
