"""Archiving, tags and folders: what can be done to assets, and that it never reaches another workspace's."""

import pytest

from gallery import library, projects
from gallery.library import TagError
from gallery.models import Asset, Project, Tag
from gallery.projects import ProjectError
from tests.conftest import NOW
from tests.gallery.review_samples import paid_asset


def archived() -> set[int]:
    return set(Asset.objects.filter(archived_at__isnull=False).values_list("pk", flat=True))


def test_archiving_can_be_taken_back_and_tells_what_it_changed(workspace):
    first, second = paid_asset(workspace), paid_asset(workspace)
    assert library.archive(workspace_id=workspace.pk, asset_ids=[first.pk], now=NOW) == [first.pk]
    assert library.archive(workspace_id=workspace.pk, asset_ids=[first.pk, second.pk], now=NOW) == [second.pk]
    assert archived() == {first.pk, second.pk}
    assert library.restore(workspace_id=workspace.pk, asset_ids=[first.pk]) == [first.pk]
    assert archived() == {second.pk}


def test_another_workspaces_assets_are_left_alone(workspace, make_workspace):
    other = paid_asset(make_workspace("elsewhere"))
    assert library.archive(workspace_id=workspace.pk, asset_ids=[other.pk], now=NOW) == []
    library.tag(workspace_id=workspace.pk, asset_ids=[other.pk], name="mine")
    assert list(other.tags.all()) == []


def test_a_tag_is_one_tag_whatever_its_case_and_goes_with_its_last_asset(workspace):
    first, second = paid_asset(workspace), paid_asset(workspace)
    tag = library.tag(workspace_id=workspace.pk, asset_ids=[first.pk], name="  Spring   shelf ")
    again = library.tag(workspace_id=workspace.pk, asset_ids=[second.pk], name="SPRING SHELF")
    assert (tag, tag.name) == (again, "Spring shelf")
    library.untag(workspace_id=workspace.pk, asset_id=first.pk, tag_id=tag.pk)
    assert Tag.objects.count() == 1
    library.untag(workspace_id=workspace.pk, asset_id=second.pk, tag_id=tag.pk)
    assert Tag.objects.count() == 0


@pytest.mark.parametrize("name", ["", "   ", "x" * 61])
def test_a_tag_needs_a_name_of_some_length(workspace, name):
    with pytest.raises(TagError, match="1 to 60 characters"):
        library.tag(workspace_id=workspace.pk, asset_ids=[], name=name)


def test_an_asset_lies_in_several_folders_and_in_each_once(workspace):
    asset, other = paid_asset(workspace), paid_asset(workspace)
    spring = projects.create(workspace_id=workspace.pk, name="Spring", now=NOW)
    shop = projects.create(workspace_id=workspace.pk, name="Shop", now=NOW)
    assert projects.add(spring, [asset], now=NOW) == 1
    assert projects.add(spring, [asset, other], now=NOW) == 1
    assert projects.add(shop, [asset], now=NOW) == 1
    assert projects.remove(spring, [asset]) == 1
    assert [project.name for project in asset.projects.all()] == ["Shop"]
    assert projects.covers([spring.pk, shop.pk]) == {spring.pk: [other.pk], shop.pk: [asset.pk]}


def test_two_folders_never_share_a_name(workspace, make_workspace):
    spring = projects.create(workspace_id=workspace.pk, name="Spring", now=NOW)
    projects.archive(spring, now=NOW)
    with pytest.raises(ProjectError, match="a project named “SPRING” already, maybe an archived one"):
        projects.create(workspace_id=workspace.pk, name="SPRING", now=NOW)
    shop = projects.create(workspace_id=workspace.pk, name="Shop", now=NOW)
    with pytest.raises(ProjectError):
        projects.rename(shop, name="spring ")
    projects.create(workspace_id=make_workspace("elsewhere").pk, name="Spring", now=NOW)
    assert sorted(Project.objects.values_list("name", flat=True)) == ["Shop", "Spring", "Spring"]


@pytest.mark.parametrize("name", ["", " \t ", "x" * 121])
def test_a_folder_needs_a_name_of_some_length(workspace, name):
    with pytest.raises(ProjectError):
        projects.create(workspace_id=workspace.pk, name=name, now=NOW)
