"""Folders: moving between them, what their fronts show, being put away and coming back with all that lies in them."""

import pytest

from gallery import library, projects
from gallery.models import Project
from gallery.projects import ProjectError
from tests.conftest import NOW
from tests.gallery.review_samples import paid_asset


@pytest.fixture
def folder(workspace):
    def make(name: str) -> Project:
        return projects.create(workspace_id=workspace.pk, name=name, now=NOW)

    return make


def inside(project: Project) -> set[int]:
    return set(project.entries.values_list("asset_id", flat=True))


def test_moving_takes_out_of_one_folder_and_lays_into_the_other(workspace, folder):
    spring, shop = folder("Spring"), folder("Shop")
    first, second, third = (paid_asset(workspace) for _ in range(3))
    projects.add(spring, [first, second], now=NOW)
    projects.add(shop, [second], now=NOW)
    assert projects.move([first, second, third], source=spring, target=shop, now=NOW) == 2
    assert inside(spring) == set()
    assert inside(shop) == {first.pk, second.pk}


def test_moving_again_as_after_a_double_click_moves_nothing_more(workspace, folder):
    spring, shop = folder("Spring"), folder("Shop")
    asset = paid_asset(workspace)
    projects.add(spring, [asset], now=NOW)
    assert projects.move([asset], source=spring, target=shop, now=NOW) == 1
    assert projects.move([asset], source=spring, target=shop, now=NOW) == 0
    assert inside(shop) == {asset.pk}


def test_moving_into_the_same_folder_loses_nothing(workspace, folder):
    spring, asset = folder("Spring"), paid_asset(workspace)
    projects.add(spring, [asset], now=NOW)
    projects.move([asset], source=spring, target=spring, now=NOW)
    assert inside(spring) == {asset.pk}


def test_a_front_shows_the_newest_three_that_are_not_archived(workspace, folder):
    spring = folder("Spring")
    assets = [paid_asset(workspace) for _ in range(5)]
    projects.add(spring, assets, now=NOW)
    library.archive(workspace_id=workspace.pk, asset_ids=[assets[4].pk], now=NOW)
    assert projects.covers([spring.pk]) == {spring.pk: [assets[3].pk, assets[2].pk, assets[1].pk]}


def test_fronts_of_many_folders_cost_one_query(workspace, folder, django_assert_num_queries):
    folders = [folder(f"Folder {number}") for number in range(8)]
    for each in folders:
        projects.add(each, [paid_asset(workspace), paid_asset(workspace)], now=NOW)
    with django_assert_num_queries(1):
        found = projects.covers([each.pk for each in folders])
    assert all(len(found[each.pk]) == 2 for each in folders)


def test_what_is_put_away_comes_back_with_what_lay_in_it(workspace, folder):
    spring, asset = folder("Spring"), paid_asset(workspace)
    projects.add(spring, [asset], now=NOW)
    projects.archive(spring, now=NOW)
    assert Project.objects.get(pk=spring.pk).archived_at == NOW
    projects.restore(spring)
    assert Project.objects.get(pk=spring.pk).archived_at is None
    assert inside(spring) == {asset.pk}


def test_a_name_may_change_its_case_but_not_become_another_folders(workspace, folder):
    spring, _ = folder("Spring"), folder("Shop")
    projects.rename(spring, name="  SPRING  2027 ")
    assert Project.objects.get(pk=spring.pk).name == "SPRING 2027"
    with pytest.raises(ProjectError, match="“shop” already"):
        projects.rename(spring, name="shop")
    with pytest.raises(ProjectError, match="Shorten it to 120"):
        projects.rename(spring, name="x" * 121)
    assert Project.objects.get(pk=spring.pk).name == "SPRING 2027"
