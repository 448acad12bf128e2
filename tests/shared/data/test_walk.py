"""Which files of a folder count."""

from shared.data.walk import visible, walk


def test_hidden_and_system_files_are_left_out_at_every_level(tmp_path):
    for name in ("b/2.jpg", "a.jpg", ".hidden", "b/.ipynb_checkpoints/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b/Thumbs.db").touch()
    assert [p.name for p in visible(tmp_path)] == ["a.jpg", "b"]
    assert [p.name for p in walk(tmp_path)] == ["a.jpg", "2.jpg"]


def test_linked_folders_are_entered_once(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/1.jpg").touch()
    (tmp_path / "given").mkdir()
    (tmp_path / "given/link").symlink_to(tmp_path / "photos")
    (tmp_path / "given/loop").symlink_to(tmp_path / "given")
    assert [p.name for p in walk(tmp_path / "given")] == ["1.jpg"]
